# For fingers that type make: every target is a verb of ./dev, which does the work.
VERBS := run build test test-integration install-service soak bench lint format help

.DEFAULT_GOAL := help
.PHONY: $(VERBS)
$(VERBS):
	@./dev $@
