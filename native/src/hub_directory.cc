#include "hub_directory.h"

#include <map>
#include <mutex>

namespace vpnd {

std::shared_ptr<HubDirectory> HubDirectory::of(const std::string& device) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<HubDirectory>> all;
  const std::lock_guard lock(mutex);
  std::weak_ptr<HubDirectory>& known = all[device];
  std::shared_ptr<HubDirectory> found = known.lock();
  if (!found) known = found = std::make_shared<HubDirectory>();
  return found;
}

bool HubDirectory::add(const std::vector<Prefix>& addresses, uint32_t client, HubInbox& inbox) {
  const std::lock_guard lock(mutex_);
  for (const Prefix& one : addresses) {
    if (entries_.contains(one.address)) return false;
  }
  for (const Prefix& one : addresses) entries_[one.address] = {client, &inbox};
  return true;
}

void HubDirectory::remove(const std::vector<Prefix>& addresses) {
  const std::lock_guard lock(mutex_);
  for (const Prefix& one : addresses) entries_.erase(one.address);
}

HubDirectory::Outcome HubDirectory::hand_over(const Address& destination, const VnetHeader& header, View packet) {
  // Held until the packet lies there: then the inbox is too.
  const std::shared_lock lock(mutex_);
  const auto found = entries_.find(destination);
  if (found == entries_.end()) return Outcome::nobody;
  return found->second.inbox->put(found->second.client, header, packet) ? Outcome::handed_over : Outcome::full;
}

}  // namespace vpnd
