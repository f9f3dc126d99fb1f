# syntax=docker/dockerfile:1
# with or without: see the stage swagger-ui.
ARG SWAGGER_UI=with
# The build stage runs on the builder's own platform and cross-compiles, so no emulation is needed.
# Both Dockerfiles have the same one: the second image is built from the first one's cache.
FROM --platform=$BUILDPLATFORM docker.io/library/swift:6.3-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# A compiler for each platform but the builder's own, whose `gcc` has that name already.
RUN missing=(); \
    command -v make >/dev/null || missing+=(make); \
    command -v gcc >/dev/null || missing+=(gcc); \
    for machine in x86_64:x86-64:gnu:amd64 aarch64:aarch64:gnu:arm64 arm:arm:gnueabi:armel; do \
      IFS=: read -r name package abi architecture <<<"$machine"; \
      [ "$name" = "$(uname -m)" ] || command -v "$name-linux-$abi-gcc" >/dev/null \
        || missing+=("gcc-$package-linux-$abi"); \
      [ -e "/usr/include/$name-linux-musl${abi#gnu}" ] || missing+=("musl-dev:$architecture"); \
      [ "${#missing[@]}" -eq 0 ] || dpkg --add-architecture "$architecture"; \
    done; \
    [ "${#missing[@]}" -eq 0 ] || { apt-get update \
      && apt-get install -y --no-install-recommends "${missing[@]}" \
      && rm -rf /var/lib/apt/lists/*; }
WORKDIR /src
COPY . .
ARG VERSION=dev
RUN sed -i "s/number = \"[^\"]*\"/number = \"$VERSION\"/" Sources/Platform/Program/Version.swift
ARG TARGETARCH
ARG TARGETVARIANT
RUN make "dist-$TARGETARCH$TARGETVARIANT" \
    && mv "dist/linux-$TARGETARCH$TARGETVARIANT" /out \
    && install -d -m 2770 /empty

# Swagger UI's files, for /docs. `--build-arg SWAGGER_UI=without` leaves them out: /docs is then a
# plain page, and the image is smaller than a megabyte.
FROM --platform=$BUILDPLATFORM docker.io/swaggerapi/swagger-ui:v5.34.0 AS swagger-ui-image
FROM scratch AS swagger-ui-with
COPY --from=swagger-ui-image /usr/share/nginx/html/swagger-ui.css \
  /usr/share/nginx/html/swagger-ui-bundle.js /swagger-ui/
FROM scratch AS swagger-ui-without
WORKDIR /swagger-ui
# hadolint ignore=DL3006
FROM swagger-ui-$SWAGGER_UI AS swagger-ui

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="simple-server" \
  org.opencontainers.image.description="An API that reports its requests to metrics-sidecar" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION"
COPY --from=build --chown=65532:65532 /empty /run/metrics
COPY --from=swagger-ui /swagger-ui /swagger-ui
COPY --from=build /out/simple-server /simple-server
USER 65532:65532
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["/simple-server", "healthcheck"]
ENTRYPOINT ["/simple-server"]
