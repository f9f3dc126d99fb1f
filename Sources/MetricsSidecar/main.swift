print("metrics-sidecar")
