# syntax=docker/dockerfile:1
# Palaver as a container: docker build -t palaver . ; docker run -p 8000:8000 -v data:/data palaver
# Built in one stage; run from another that holds Python and nothing else: no shell, no package
# manager, nobody's account but `nonroot` (65532). About 115 MB, of which Palaver is 67.

FROM debian:bookworm-slim AS build
# Debian's own Python, for the stage that runs has the same one in the same place.
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 ca-certificates
COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /usr/local/bin/uv
ENV UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_PYTHON=/usr/bin/python3.11 \
    UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/app
WORKDIR /src
# The dependencies change rarely: a layer of their own.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE ./
COPY src ./src
# The libraries' tests go; those under palaver/ are what `palaver new` writes.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-editable \
 && find /app \( -name tests -o -name test \) -type d -path '*site-packages*' \
      -not -path '*/palaver/*' -prune -exec rm -rf {} + \
 && mkdir /data

FROM gcr.io/distroless/python3-debian12:nonroot
COPY --from=build /app /app
COPY --from=build --chown=65532:65532 /data /data
ENV HOME=/data \
    PATH=/app/bin:/usr/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PALAVER_HOST=0.0.0.0 \
    PALAVER_PORT=8000 \
    PALAVER_DATABASE=sqlite:////data/palaver.db
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PALAVER_PORT'] + '/readyz', timeout=2)"]
ENTRYPOINT ["palaver"]
CMD ["serve"]
