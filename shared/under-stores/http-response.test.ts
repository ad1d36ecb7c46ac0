import { describe, expect, it } from 'vitest';
import { type ResponseHead, ResponseParser } from './http-response.ts';

interface Parsed {
  readonly head: ResponseHead | undefined;
  readonly body: string;
  /** The lengths in which the body came. */
  readonly handedOver: readonly number[];
  readonly isDone: boolean;
  readonly canReuse: boolean;
}

interface Options {
  readonly isClosed?: boolean;
  readonly pieceBytes?: number;
}

/** What a connection does: what was not taken is handed in again with what comes next. */
function parse(pieces: readonly string[], { isClosed = false, pieceBytes = 1 }: Options = {}): Parsed {
  let head: ResponseHead | undefined;
  let body = '';
  const handedOver: number[] = [];
  const parser = new ResponseParser({
    onHead: (received) => {
      head = received;
    },
    onBody: (bytes) => {
      body += Buffer.from(bytes).toString('latin1');
      handedOver.push(bytes.length);
    },
    pieceBytes,
  });
  let rest = Buffer.alloc(0);
  for (const piece of pieces) {
    const bytes = Buffer.concat([rest, Buffer.from(piece, 'latin1')]);
    rest = bytes.subarray(parser.feed(bytes));
  }
  if (isClosed) parser.close();
  else parser.salvage(rest);
  return { head, body, handedOver, isDone: parser.isDone, canReuse: parser.canReuse };
}

const FIXED = 'HTTP/1.1 206 Partial Content\r\nETag: "e"\r\nContent-Length: 5\r\n\r\n01234';
const CHUNKED =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n012\r\nA\r\n3456789abc\r\n0\r\nT: v\r\n\r\n';
const CONTINUED = `HTTP/1.1 100 Continue\r\n\r\n${FIXED}`;

describe('ResponseParser', () => {
  it.each([
    ['of a known length', FIXED, '01234'],
    ['in chunks', CHUNKED, '0123456789abc'],
    ['after an interim one', CONTINUED, '01234'],
  ])('reads an answer %s, wherever the pieces end', (_, text, body) => {
    for (let at = 0; at <= text.length; at++) {
      const parsed = parse([text.slice(0, at), text.slice(at)]);
      expect(parsed).toMatchObject({ body, isDone: true, canReuse: true });
    }
    expect(parse(text.split(''))).toMatchObject({ body, isDone: true });
  });

  it('hands a body of a known length over in whole pieces, but for its end, or what came before the connection broke', () => {
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789';
    expect(parse(text.split(''), { pieceBytes: 4 })).toMatchObject({ body: '0123456789', handedOver: [4, 4, 2] });
    expect(parse([text], { pieceBytes: 100 })).toMatchObject({ handedOver: [10], isDone: true });
    expect(parse([text.slice(0, -3)], { pieceBytes: 4 })).toMatchObject({ body: '0123456', handedOver: [4, 3] });
  });

  it('finds headers by their whole name, in whatever case they come', () => {
    const { head } = parse(['HTTP/1.1 200 OK\r\nX-ETag: no\r\neTaG:  "E" \r\nContent-Length:0\r\n\r\n']);
    expect(['etag', 'content-length', 'tag', 'http/1.1 200 ok'].map((name) => head?.header(name))).toEqual([
      '"E"',
      '0',
      undefined,
      undefined,
    ]);
  });

  it('ends a body without a length with the connection, and never uses that again', () => {
    const text = 'HTTP/1.1 200 OK\r\n\r\nall of it';
    expect(parse([text])).toMatchObject({ body: 'all of it', isDone: false });
    expect(parse([text], { isClosed: true })).toMatchObject({ body: 'all of it', isDone: true, canReuse: false });
  });

  it.each([
    ['in the head', 'HTTP/1.1 200 OK\r\nContent'],
    ['in the body', FIXED.slice(0, -1)],
    ['in a chunk', CHUNKED.slice(0, -20)],
    ['before its last line', CHUNKED.slice(0, -2)],
  ])('takes a connection that ends %s for broken', (_, text) => {
    expect(() => parse([text], { isClosed: true })).toThrow(/ended in the middle/);
  });

  it.each([
    ['HTTP/1.1 204 No Content\r\n\r\n', true],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n', true],
    [`${FIXED}HTTP/1.1 200 OK\r\n`, false],
  ])('knows of %j whether another request may follow', (text, canReuse) => {
    expect(parse([text])).toMatchObject({ isDone: true, canReuse });
  });

  it.each([
    ['what is not HTTP', 'SSH-2.0-x\r\n\r\n', /does not speak/],
    ['an endless head', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`, /64 KiB/],
    ['a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n', /length '-5'/],
    ['a chunk without a size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n', /without a size/],
    ['a chunk that goes on', `${CHUNKED.slice(0, CHUNKED.indexOf('012') + 3)}zz\r\n`, /without a size/],
    ['an endless size', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'0'.repeat(5000)}`, /4 KiB/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parse([text])).toThrow(message);
    expect(() => parse(text.split(''))).toThrow(message);
  });
});
