"""Published weights onto this machine: resumed, verified, once."""
