"""What tokens cost: a price table that comes with the program, and one function from usage to money."""
