# Postman in an image of its own: one static program, no shell, not root.
#   docker build -t postman . && docker run -p 127.0.0.1:2525:2525 -v mail:/mail postman
# dist/image/try takes these steps without a Docker daemon, line by line from this file.
FROM rust:1.95 AS build
WORKDIR /src
COPY . .
RUN cargo rustc --release --locked --bin postman -- -C target-feature=+crt-static
RUN install -D target/release/postman /image/program/postman
RUN install -d -m 700 /image/data/mail

FROM scratch
COPY --from=build /image/program/ /
COPY --from=build --chown=65532:65532 /image/data/ /
# A static C library looks up no names: user and addresses are numbers.
USER 65532:65532
VOLUME /mail
EXPOSE 2525
ENTRYPOINT ["/postman", "--listen", "0.0.0.0:2525", "--maildir", "/mail"]
HEALTHCHECK --interval=30s --timeout=10s CMD ["/postman", "ready", "127.0.0.1:2525"]
