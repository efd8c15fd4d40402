// What has to be stopped before the process may go.
#pragma once
#include <mutex>
#include <set>

namespace vpnd::face {

// process.exit() runs no cleanup hooks of the main environment, and threads of ours would see libraries end under their feet. Exit
// handlers run last in, first out: ours, registered at the first use, comes before those.
template <typename T>
class Live {
 public:
  static Live& instance() {
    static Live all;
    return all;
  }
  void add(T* one) {
    const std::lock_guard lock(mutex_);
    all_.insert(one);
  }
  void remove(T* one) {
    const std::lock_guard lock(mutex_);
    all_.erase(one);
  }

 private:
  ~Live() {
    for (T* one : all_) one->stop();
  }
  std::mutex mutex_;
  std::set<T*> all_;
};

}  // namespace vpnd::face
