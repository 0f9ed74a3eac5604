# The run service with a small Debian around it. `./dev docker-build` makes the context: root.tar by
# mmdebstrap, from the package sources of the machine that builds, and the programs. No registry is
# needed. To serve more languages: AIRLOCK_IMAGE_PACKAGES="python3 nodejs ..." ./dev docker-build
FROM scratch
ADD root.tar /
COPY programs/ /usr/local/lib/airlock/
ENV PATH=/usr/local/lib/airlock:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    XDG_STATE_HOME=/tmp/state
USER 1000:1000
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s --retries=3 \
  CMD ["/usr/local/lib/airlock/airlock", "health", "http://127.0.0.1:8000"]
ENTRYPOINT ["/usr/local/lib/airlock/airlock", "serve"]
CMD ["--listen", "http://0.0.0.0:8000"]
