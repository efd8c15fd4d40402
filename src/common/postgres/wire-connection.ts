/** A logged-in connection to PostgreSQL: questions and their answers, several under way at once. */
import type { Duplex } from "node:stream";
import {
  AnswerReader,
  answers,
  bindAndExecute,
  copyDataHead,
  copyDone,
  parse,
  type Refusal,
  readNotification,
  readRefusal,
  simpleQuery,
  sync,
  terminate,
  textRow,
} from "./wire.js";

/** The server refused something; the connection lives on. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";

  constructor(readonly refusal: Refusal) {
    super(refusal.message);
  }
}

interface Question {
  onRow: (body: Buffer) => void;
  resolve: () => void;
  reject: (error: Error) => void;
  refusal?: Refusal;
}

const ignored = (): void => {};

export class WireConnection {
  /** Something was notified. */
  onNotification: (channel: string, payload: string) => void = ignored;
  /** Once, when it is over, for whatever reason. */
  onEnd: (error: Error) => void = ignored;
  readonly #stream: Duplex;
  readonly #questions: Question[] = [];
  readonly #reader: AnswerReader;
  #over: Error | undefined;
  #lastRefusal: Refusal | undefined;

  /**
   * @param stream nobody else reads from it or writes to it any more
   * @param chunks calls back with what comes, in memory that holds until it returns; absent: the stream's own events
   */
  constructor(stream: Duplex, chunks?: (onChunk: (chunk: Buffer) => void) => void) {
    this.#stream = stream;
    this.#reader = new AnswerReader((type, body) => this.#answered(type, body));
    const onChunk = (chunk: Buffer): void => this.#read(chunk);
    if (chunks === undefined) stream.on("data", onChunk);
    else chunks(onChunk);
    stream.on("error", (error) => this.#end(error));
    stream.on("close", () => this.#end(new Error("the connection was closed")));
  }

  /** Statements without parameters, or with none of a stranger's. @throws DatabaseError */
  async script(sql: string): Promise<(string | null)[][]> {
    const rows: (string | null)[][] = [];
    await this.#ask((body) => rows.push(textRow(body)), simpleQuery(sql));
    return rows;
  }

  /** One statement with parameters; all values as text. @throws DatabaseError */
  async run(sql: string, parameters: readonly (string | null)[] = []): Promise<(string | null)[][]> {
    const rows: (string | null)[][] = [];
    const question = [parse("", sql), bindAndExecute("", parameters, false), sync];
    await this.#ask((body) => rows.push(textRow(body)), ...question);
    return rows;
  }

  /** Names a statement, for `fetch`. @throws DatabaseError */
  async prepare(name: string, sql: string): Promise<void> {
    await this.#ask(ignored, parse(name, sql), sync);
  }

  /**
   * Runs a prepared statement.
   * @param onRow gets each row in binary form, as it comes, in memory that holds until it returns
   * @throws DatabaseError
   */
  fetch(name: string, parameters: readonly string[], onRow: (row: Buffer) => void): Promise<void> {
    return this.#ask(onRow, bindAndExecute(name, parameters, true), sync);
  }

  /**
   * COPY … FROM STDIN with its data, without waiting for the server to ask for it: what it does not want it throws away.
   * @throws DatabaseError: then nothing of it is in the database
   */
  copyIn(sql: string, data: Buffer): Promise<void> {
    return this.#ask(ignored, simpleQuery(sql), copyDataHead(data.length), data, copyDone);
  }

  /** Bytes that wait in this process to be sent. */
  get waiting(): number {
    return this.#stream.writableLength;
  }

  /** Says goodbye; what is under way is done. */
  end(): void {
    if (this.#over === undefined) this.#stream.end(terminate);
  }

  /** At once. What is under way is rejected. */
  destroy(error: Error): void {
    this.#stream.destroy();
    this.#end(error);
  }

  #ask(onRow: (body: Buffer) => void, ...messages: readonly Buffer[]): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    return new Promise((resolve, reject) => {
      this.#questions.push({ onRow, resolve, reject });
      this.#stream.cork();
      for (const message of messages) this.#stream.write(message);
      this.#stream.uncork();
    });
  }

  #read(chunk: Buffer): void {
    try {
      this.#reader.read(chunk);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #answered(type: number, body: Buffer): void {
    const question = this.#questions[0];
    if (type === answers.dataRow) {
      question?.onRow(body);
    } else if (type === answers.ready) {
      this.#questions.shift();
      if (question?.refusal !== undefined) question.reject(new DatabaseError(question.refusal));
      else question?.resolve();
    } else if (type === answers.error) {
      const refusal = readRefusal(body);
      // Of a server that stops: it belongs to no question, and the connection ends behind it.
      if (question === undefined) this.#lastRefusal = refusal;
      else question.refusal = refusal;
    } else if (type === answers.notification) {
      const { channel, payload } = readNotification(body);
      this.onNotification(channel, payload);
    }
  }

  #end(error: Error): void {
    if (this.#over !== undefined) return;
    const refusal = this.#questions[0]?.refusal ?? this.#lastRefusal;
    this.#over = refusal === undefined ? error : new DatabaseError(refusal);
    for (const question of this.#questions.splice(0)) question.reject(this.#over);
    this.onEnd(this.#over);
  }
}
