import os, socket
print("hello from", socket.gethostname(), "as uid", os.getuid())
