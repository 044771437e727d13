/** The header of an answer that follows output in stream mode: the unread bytes of a stream above which the command waits. */
export const STREAM_BUFFER_HEADER = 'x-stream-buffer-bytes';
