class Json:
    name = "json"
