Kind     = "service-defaults"
Name     = "greetings"
Protocol = "grpc"
