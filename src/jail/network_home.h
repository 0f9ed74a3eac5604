// NetworkHome: the network namespace in which a keeper lives, and its sandboxes one after another.
//
// To make one, with its loopback interface, and to take it down again is a quarter of all that a
// run costs the kernel. A sandbox has it for itself, and the next one gets the same only if it is
// as new: nobody asked for an internet socket (the seccomp profile tells the keeper before the
// kernel makes the first), so that no counter, port, connection or cache in it has changed, and no
// unix socket with a name is left. It belongs to the keeper, so that no capability of a sandbox
// counts in it. docs/adr/0011 weighs this.
//
// For one thread, and for one sandbox at a time.
#pragma once

namespace airlock::jail {

class NetworkHome {
 public:
  // The calling process is in a namespace that is as new from here on, and so are its children.
  // False: it may not make one, and each sandbox has to make its own.
  bool provide();
  // The sandbox is gone, to its last process.
  void give_back(bool touched);

 private:
  bool as_new_ = false;
  bool refused_ = false;
};

}  // namespace airlock::jail
