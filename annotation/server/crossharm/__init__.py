"""A Django app for Label Studio: opt-outs, a daily cap, and annotators who see their own work only."""
