vpc_id  = "vpc-1"
subnets = ["subnet-1"]
weights = { blue = 90, green = 10 }
