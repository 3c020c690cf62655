"""Prints what redis-py makes of each URL on standard input, a line each, with its defaults written out.

The column `redis-py` of urls.tsv is what this prints; a test of ours runs it.
"""
import sys
from redis.connection import SSLConnection, UnixDomainSocketConnection, parse_url

# What is the same as if it were not given.
DEFAULTS = {"protocol": 2, "ssl_cert_reqs": "required", "ssl_check_hostname": True}


def said(url):
    try:
        options = parse_url(url)
    except ValueError:
        return "refused"
    kind = options.pop("connection_class", None)
    if kind is not UnixDomainSocketConnection:
        options = {"host": "localhost", "port": 6379, **options}
    options = {"db": 0, **options}
    options = {name: value for name, value in options.items() if DEFAULTS.get(name) != value}
    options["over"] = {SSLConnection: "tls", UnixDomainSocketConnection: "socket"}.get(kind, "tcp")
    return " ".join(f"{name}={value}" for name, value in sorted(options.items()))


for line in sys.stdin:
    print(said(line.rstrip("\n")))
