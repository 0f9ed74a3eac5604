def depth(n):
    return 1 // n if n == 0 else depth(n - 1)


depth(3)
