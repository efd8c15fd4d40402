// A wire with a NAT in it, between a node (inner side) and another (outer side): it can change the node's outer address, keep
// what passes, alter it, and send it again.
#pragma once
#include <functional>
#include <vector>

#include "address.h"
#include "bytes.h"

namespace vpnd::driver {

class Wire {
 public:
  Wire(const Endpoint& inner, const Endpoint& outer);
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  // What the inner node takes for the outer one.
  const Endpoint& front() const { return front_; }
  // From now on the outer node sees another source port, and the old one is dead.
  void rebind();
  // Moves what waits, both ways.
  void pump();
  // Sends to the outer node, from the current outer address.
  void inject(View datagram);
  void inject_from_elsewhere(View datagram);

  // Datagrams of the inner node that passed, oldest first; cleared by the caller.
  std::vector<Bytes> passed;
  // Nothing passes, either way.
  bool cut = false;
  // Datagrams of the inner node go out from two addresses in turn, so that the kernel hands them to several sockets of one port.
  bool spread = false;
  // False keeps a datagram of the inner node from passing.
  std::function<bool(View)> filter = [](View) { return true; };

 private:
  Endpoint inner_;
  Endpoint outer_;
  Endpoint front_;
  int front_fd_ = -1;
  int back_fd_ = -1;
  int other_back_fd_ = -1;
  size_t turn_ = 0;
};

}  // namespace vpnd::driver
