# The controller as an image: compiled JavaScript and production dependencies on a base without shell or package manager.
#   docker build -t holdfast .
# The container needs no writable file system and no capability; it runs as uid 65532.
ARG BUILD_IMAGE=node:24-trixie-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
# First what rarely changes, so that a change of the source installs nothing again.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts scripts/
COPY src/ src/
RUN node scripts/build.ts && find dist -name '*.map' -delete

FROM ${BUILD_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# What only editors and debuggers read is half of it.
RUN npm ci --omit=dev --no-audit --no-fund && \
    find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="holdfast" \
      org.opencontainers.image.description="A Kubernetes ingress controller whose sessions hold fast" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    PATH=/nodejs/bin:/usr/local/bin:/usr/bin:/bin
WORKDIR /app
# node_modules keep their package.json files: scanners read them for the list of what is inside.
COPY --from=dependencies /app/node_modules node_modules/
COPY --from=build /build/dist dist/
COPY package.json package-lock.json LICENSE ./
COPY manifests/examples manifests/examples/
USER 65532:65532
EXPOSE 8080 8443 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9090/healthz').then(({ok})=>process.exit(ok?0:1),()=>process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["run"]
