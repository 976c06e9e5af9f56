"""What encoders are measured by: one file for each kind of question."""
