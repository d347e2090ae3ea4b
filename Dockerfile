# syntax=docker/dockerfile:1
ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/aurora
WORKDIR /src
# Dependencies first: they change less often than the code.
COPY requirements/runtime.lock requirements/
RUN /opt/aurora/bin/pip install --require-hashes --only-binary :all: -r requirements/runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
# The build back end is the only thing here that the lock does not name.
RUN /opt/aurora/bin/pip install --no-deps . \
 && /opt/aurora/bin/python -m compileall -q /opt/aurora \
 && /opt/aurora/bin/aurora --version

FROM ${PYTHON}
LABEL org.opencontainers.image.title="AURORA" \
      org.opencontainers.image.description="An autonomous operator for model serving on Kubernetes" \
      org.opencontainers.image.licenses="MIT"
# Numbers, so that Kubernetes can tell that it is not root; nothing but the data folder is written.
RUN install -d -o 65532 -g 65532 -m 0750 /var/lib/aurora
COPY --from=build /opt/aurora /opt/aurora
ENV PATH=/opt/aurora/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUTF8=1 \
    AURORA_STORE_URL=sqlite+aiosqlite:////var/lib/aurora/aurora.db \
    AURORA_INDEX_PATH=/var/lib/aurora/index
USER 65532:65532
WORKDIR /var/lib/aurora
EXPOSE 8081 9464
ENTRYPOINT ["aurora"]
CMD ["operator"]
