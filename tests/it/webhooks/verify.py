import hmac, time


def verify(secret, signature, body, age_max_s=300):
    """Whether a worker that knows the secret has sent this body in the last minutes."""
    parts = dict(part.split("=", 1) for part in signature.split(","))
    expected = hmac.new(secret.encode(), f"{parts['t']}.{body}".encode(), "sha256").hexdigest()
    is_recent = abs(time.time() - int(parts["t"])) <= age_max_s
    return is_recent and hmac.compare_digest(expected, parts["v1"])
