# syntax=docker/dockerfile:1
# Palaver as a container: docker build -t palaver . ; docker run -p 8000:8000 -v data:/data palaver
# Built in one stage, run from another without uv, compilers or caches; not as root.

FROM python:3.12-slim AS build
COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /usr/local/bin/uv
ENV UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=0 \
    UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/app
WORKDIR /src
# The dependencies change rarely: a layer of their own.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE ./
COPY src ./src
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-editable \
 && find /app \( -name tests -o -name test \) -type d -path '*site-packages*' -prune -exec rm -rf {} +

FROM python:3.12-slim
RUN groupadd --system --gid 10001 palaver \
 && useradd --system --uid 10001 --gid palaver --home-dir /data --create-home palaver \
 && rm -rf /usr/local/lib/python3.12/site-packages/pip* /usr/local/lib/python3.12/ensurepip
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PALAVER_HOST=0.0.0.0 \
    PALAVER_PORT=8000 \
    PALAVER_DATABASE=sqlite:////data/palaver.db
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PALAVER_PORT'] + '/readyz', timeout=2)"]
ENTRYPOINT ["palaver"]
CMD ["serve"]
