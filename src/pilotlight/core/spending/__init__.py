"""What calls cost, and what they may: prices, and the budgets that calls are held to."""
