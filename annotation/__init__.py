"""Human rationales: pairs to Label Studio and back."""
