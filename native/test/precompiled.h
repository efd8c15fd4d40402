// Headers of the library that most sources include, read once for all that is built with sanitizers: a quarter of the compiler's time.
// Sources do not rely on it: the other builds are without.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>
