"""Jobs that Python workers run in the interoperation tests. Our test worker has handlers of the same dotted names."""

import time


def add(x, y):
    return x + y


def echo(value):
    return value


def fail(message='boom'):
    raise ValueError(message)


def sleep(seconds):
    time.sleep(seconds)
    return seconds
