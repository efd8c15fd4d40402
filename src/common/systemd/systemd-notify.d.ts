/** The package brings no types. */
declare module "systemd-notify" {
  /** Runs systemd-notify(1); rejects with what it said on standard error. */
  export default function notify(options: {
    ready?: boolean;
    status?: string;
    pid?: number;
  }): Promise<unknown>;
}
