"""What the data is: records, tables, taxonomy and configuration. No I/O beyond reading a profile, no models."""
