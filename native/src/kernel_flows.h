// Connections that the kernel tracks (conntrack).
#pragma once
#include <vector>

#include "address.h"

namespace vpnd {

// Makes the kernel forget the connections that hosts in these prefixes opened, translated or not: what still comes for them comes for
// nobody.
// 0 or an errno value; where nothing is tracked there is nothing to forget.
int forget_flows(const std::vector<Prefix>& sources);

}  // namespace vpnd
