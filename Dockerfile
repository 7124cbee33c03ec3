# The worker alone: Redis and MongoDB are named by REDIS_URL and MONGODB_URI. The embedded servers are not in the image.
FROM python:3.11-slim AS packages
RUN python -m venv /opt/venv
COPY requirements.txt .
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

FROM python:3.11-slim
# A numeric user, so that a cluster which refuses root can check it without looking into the image.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin worker
# Where the janitor's archive is mounted: a new volume takes its owner from here.
RUN install -d -o 10001 -g 10001 /data
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY src ./src
COPY workers ./workers
# Compiled now: at run time the user may not write here, and every start would compile again.
RUN /opt/venv/bin/python -m compileall -q src
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# The exec form: the worker itself is process 1 and gets SIGTERM, on which it drains.
CMD ["python", "-m", "src.worker.app"]
