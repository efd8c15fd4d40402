/** How often a gateway asks its clients for a sign of life, and how long one may be silent, milliseconds. */
export const keepAliveMs = 20_000;
export const deadMs = 50_000;
