weights = { blue = 0, green = 100 }
