# syntax=docker/dockerfile:1
# with (what an empty one means) or without: see the stage swagger-ui.
ARG SWAGGER_UI
# The build stage cross-compiles on the builder's own platform; Scripts/image says how. Both
# Dockerfiles have the same one, so the second image is built from the first one's cache.
FROM --platform=$BUILDPLATFORM docker.io/library/swift:6.3-bookworm@sha256:7060a792f4cd9eaa0d00826d941cec00ab8d252d33b8b28bc8e105f51f2dba73 AS build
WORKDIR /src
COPY Scripts/image Scripts/
RUN Scripts/image tools
COPY . .
ARG VERSION=dev
ARG TARGETARCH
ARG TARGETVARIANT=
RUN Scripts/image programs "$VERSION" "$TARGETARCH$TARGETVARIANT"

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
