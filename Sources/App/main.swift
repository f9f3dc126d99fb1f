print("simple-server")
