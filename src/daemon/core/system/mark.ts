/**
 * Firewall mark (SO_MARK) of every socket of vpnd, so that rules can tell its own packets from those that belong into a tunnel.
 * Clear of the bits that Kubernetes (0x4000, 0x8000), Cilium (0x0f00) and Tailscale (0x040000, 0x080000) look at.
 */
export const socketMark = 0x100076;
