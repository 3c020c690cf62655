"""What rq-dashboard's and django-rq's pages show, without a web server."""

import html
import json
import os
import re

URL = os.environ['RQ_REDIS_URL']


def text(response):
    """What a reader sees of a page, in one line."""
    body = response.data if hasattr(response, 'data') else response.content
    words = re.sub(r'(?s)<(script|style).*?</\1>|<[^>]*>', ' ', body.decode())
    return ' '.join(html.unescape(words).split())


class RqDashboard:
    def __init__(self):
        import rq_dashboard
        from flask import Flask

        app = Flask('dashboards')
        app.config.from_object(rq_dashboard.default_settings)
        app.config['RQ_DASHBOARD_REDIS_URL'] = URL
        rq_dashboard.web.setup_rq_connection(app)
        app.register_blueprint(rq_dashboard.blueprint)
        # An error of a page is one of the test.
        app.config['PROPAGATE_EXCEPTIONS'] = True
        self.client = app.test_client()

    def data(self, path):
        return json.loads(self.client.get(f'/0/data/{path}.json').data)

    def job(self, id):
        assert self.client.get(f'/0/view/job/{id}').status_code == 200
        return self.data(f'job/{id}')

    def jobs(self, queue, registry):
        return [job['id'] for job in self.data(f'jobs/{queue}/{registry}/50/asc/1')['jobs']]


class DjangoRq:
    def __init__(self, queue):
        import django
        from django.conf import settings

        settings.configure(
            SECRET_KEY='k',
            ALLOWED_HOSTS=['*'],
            DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}},
            INSTALLED_APPS=[
                'django.contrib.admin', 'django.contrib.auth', 'django.contrib.contenttypes',
                'django.contrib.messages', 'django.contrib.sessions', 'django.contrib.staticfiles', 'django_rq',
            ],
            MIDDLEWARE=[
                'django.contrib.sessions.middleware.SessionMiddleware',
                'django.contrib.auth.middleware.AuthenticationMiddleware',
                'django.contrib.messages.middleware.MessageMiddleware',
            ],
            TEMPLATES=[{
                'BACKEND': 'django.template.backends.django.DjangoTemplates',
                'APP_DIRS': True,
                'OPTIONS': {'context_processors': [
                    'django.template.context_processors.request',
                    'django.contrib.auth.context_processors.auth',
                    'django.contrib.messages.context_processors.messages',
                ]},
            }],
            STATIC_URL='/static/',
            ROOT_URLCONF='dashboards',
            RQ_QUEUES={queue: {'URL': URL}},
        )
        django.setup()
        from django.contrib import admin
        from django.contrib.auth.models import User
        from django.core.management import call_command
        from django.test import Client
        from django.urls import path

        globals()['urlpatterns'] = [path('admin/', admin.site.urls)]
        call_command('migrate', verbosity=0)
        self.client = Client(raise_request_exception=True)
        self.client.force_login(User.objects.create_superuser('a', 'a@example.org', 'a'))

    def page(self, path):
        response = self.client.get(path)
        assert response.status_code == 200, (path, response.status_code)
        return text(response)

    def job(self, id):
        page = self.page(f'{ROOT}queues/0/{id}/')
        results = [self.page(path) for path in self.links(f'{ROOT}queues/0/{id}/')]
        return ' '.join([page, *results])

    def links(self, path):
        """The pages of a job's results."""
        body = self.client.get(path).content.decode()
        return sorted(set(re.findall(r"window\.location='([^']*)'", body)))

    def registry(self, name):
        return self.page(f'{ROOT}queues/0/{name}')


ROOT = '/admin/django_rq/dashboard/'
