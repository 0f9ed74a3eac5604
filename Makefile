# For fingers that type make: every target is a verb of ./dev, which does the work.
VERBS := run build test test-integration setup-all install-service docker-build docker-run \
  docker-run-dev soak bench lint format help

.DEFAULT_GOAL := help
.PHONY: $(VERBS)
$(VERBS):
	@./dev $@
