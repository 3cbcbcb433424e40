// What the hub asks of a password, so that a form can say it beforehand.

export const LEAST_CHARS = 12;
