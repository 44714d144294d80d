Ask the ${team} at ${phone}.
