// The same with a C library linked in statically: what a person would call a static no-op.
int main(void) { return 0; }
