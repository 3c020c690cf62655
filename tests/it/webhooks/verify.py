import hmac, time


def verify(secret, signature, body, age_max_s=300):
    """Whether a worker that knows the secret has sent this body, which is bytes, in the last minutes."""
    try:
        sent_s, tag = (signature or "").removeprefix("t=").split(",v1=")
        is_recent = abs(time.time() - int(sent_s)) <= age_max_s
    except ValueError:
        return False
    expected = hmac.new(secret.encode(), sent_s.encode() + b"." + body, "sha256").hexdigest()
    return is_recent and hmac.compare_digest(expected.encode(), tag.encode())
