# Two stages: the first installs pinned, hash-checked wheels and the exporter's own into /opt/venv, the second is that and Python.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
# --only-binary: nothing is compiled here, so no compiler is needed, and what was hashed is what runs
RUN python -m venv --without-pip /opt/venv \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.txt \
 && /opt/build/bin/pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: --no-compile -r requirements.txt
COPY pyproject.toml setup.py README.md LICENSE* ./
COPY prometheus ./prometheus
COPY alertmanager ./alertmanager
COPY grafana/dashboards ./grafana/dashboards
COPY exporter ./exporter
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
 && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index --no-compile /wheels/*.whl \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib \
 && mkdir /data /samples

FROM ${PYTHON_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="device-exporter" \
      org.opencontainers.image.description="Turns chat-device disconnect webhooks into exact, durable Prometheus metrics and fast alerts" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/venv /opt/venv
COPY --from=build --chown=10001:10001 /data /data
COPY --from=build --chown=10001:10001 /samples /samples
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DEVICE_EXPORTER_STORAGE_URL=sqlite:////data/exporter.db \
    HEALTH="127.0.0.1 8080 /-/healthy"
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080 9877
# a socket is all it takes, and importing urllib would cost ten times the processor time
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-ISc", "import os, socket; host, port, path = os.environ['HEALTH'].split(); s = socket.create_connection((host, port), 4); s.sendall(b'GET %s HTTP/1.0\\r\\n\\r\\n' % path.encode()); raise SystemExit(b' 200 ' not in s.recv(64))"]
ENTRYPOINT ["device-exporter"]
CMD ["serve", "--webhook.listen-address=:8080"]
