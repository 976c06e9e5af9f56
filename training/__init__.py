"""How the shipped encoders are made: from the sample world alone. No part of the wheel."""
