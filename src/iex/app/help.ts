export const help = `Usage: iexd [FLAGS]

The rendezvous server of a mesh VPN: nodes tell it who they are, and it tells each of them where the others are.
It sees no traffic and no keys. Without flags it listens on UDP port 9944 of all addresses.

Flags:
  --config FILE                settings, and those in FILE.d/*.toml (default /etc/vpnd/iexd.toml, if it is there)
  --check-config               print the settings in force and where each comes from, or what is wrong, and exit
  --listen ADDR:PORT[,...]     where nodes reach it (default 0.0.0.0:9944,[::]:9944); port 0: any free one
  --badger                     speak the Badger protocol; the only one so far, and always on
  --badger-allow CIDR[,...]    hear only nodes that send from these addresses (default: all)
  --max-nodes N                refuse more nodes than this, 1..1000 (default 600)
  --store memory               where registrations are kept; nodes repeat theirs after a restart
  --state-dir DIR              accepted; the memory store writes nothing
  --metrics ADDR:PORT          serve http://ADDR:PORT/metrics (default: off)
  --log-level LEVEL            trace, debug, info, warn, error or fatal (default info)
  --help, --version

Flags win over files. Exit codes: 0 ok, 1 failure, 2 usage or config, 4 not permitted. Manual: docs/iexd.md.
`;
