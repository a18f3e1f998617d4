// What was sent and not answered: it may have arrived. Whoever sends it again may send it twice.

export class Unanswered extends Error {}
