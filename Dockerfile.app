# syntax=docker/dockerfile:1
# with (what an empty one means) or without: see the stage swagger-ui.
ARG SWAGGER_UI
# The build stage runs on the builder's own platform and cross-compiles, so no emulation is needed.
# Both Dockerfiles have the same one: the second image is built from the first one's cache.
FROM --platform=$BUILDPLATFORM docker.io/library/swift:6.3-bookworm@sha256:7060a792f4cd9eaa0d00826d941cec00ab8d252d33b8b28bc8e105f51f2dba73 AS build
# A compiler and a C library for each platform; the builder's own compiler is plain `gcc`.
# hadolint ignore=SC2086
RUN missing=; \
    command -v make >/dev/null || missing="$missing make"; \
    command -v gcc >/dev/null || missing="$missing gcc"; \
    set -- x86_64 x86-64 gnu amd64 aarch64 aarch64 gnu arm64 arm arm gnueabi armel; \
    while [ $# -gt 0 ]; do \
      [ "$1" = "$(uname -m)" ] || command -v "$1-linux-$3-gcc" >/dev/null \
        || missing="$missing gcc-$2-linux-$3"; \
      [ -e "/usr/include/$1-linux-musl${3#gnu}" ] \
        || { missing="$missing musl-dev:$4"; dpkg --add-architecture "$4"; }; \
      shift 4; \
    done; \
    [ -z "$missing" ] || { apt-get update \
      && apt-get install -y --no-install-recommends $missing \
      && rm -rf /var/lib/apt/lists/*; }
WORKDIR /src
COPY . .
ARG VERSION=dev
RUN sed -i "s/number = \"[^\"]*\"/number = \"$VERSION\"/" Sources/Platform/Program/Version.swift
ARG TARGETARCH
ARG TARGETVARIANT=
# The folders are copied as what others hold, or they would lose their mode: a volume that is new
# takes it over, and the pair's common group may write.
RUN make "dist-$TARGETARCH$TARGETVARIANT" \
    && mv "dist/linux-$TARGETARCH$TARGETVARIANT" /out \
    && rm -rf .build-* \
    && install -d -m 2770 /folders/run/metrics /folders/lib/metrics-sidecar \
    && install -d /folders/swagger-ui

# Swagger UI's files, for /docs. `--build-arg SWAGGER_UI=without` leaves them out: /docs is then a
# plain page, and the image is smaller than 1 MiB.
FROM --platform=$BUILDPLATFORM docker.io/swaggerapi/swagger-ui:v5.32.8@sha256:1ece6f19ca5709fb5fbab9bf43adee2916144fb21e82b7bafba568124e8c8930 AS swagger-ui-image
FROM scratch AS swagger-ui-with
COPY --from=swagger-ui-image /usr/share/nginx/html/swagger-ui.css \
  /usr/share/nginx/html/swagger-ui-bundle.js /swagger-ui/
FROM scratch AS swagger-ui-without
COPY --from=build /folders/swagger-ui /swagger-ui
# hadolint ignore=DL3006
FROM swagger-ui-${SWAGGER_UI:-with} AS swagger-ui

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
ARG SOURCE=https://github.com/metrics-sidecar/metrics-sidecar
LABEL org.opencontainers.image.title="simple-server" \
  org.opencontainers.image.description="An API that reports its requests to metrics-sidecar" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.source="$SOURCE" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION"
COPY --from=build --chown=65532:65532 /folders/run /run
COPY --from=swagger-ui /swagger-ui /swagger-ui
COPY --from=build /out/simple-server /simple-server
USER 65532:65532
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["/simple-server", "healthcheck"]
ENTRYPOINT ["/simple-server"]
