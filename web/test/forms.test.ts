import { expect, test, vi } from 'vitest';

import { explain } from '../src/site/forms';

vi.mock('../src/lib/messages', () => ({ t: (key: string) => key }));

test('the field that is wrong is named', () => {
  expect(explain({ error_code: '001', error: 'handle must have 2 to 32 of …' })).toBe('form_handle');
  expect(explain({ error_code: '001', error: 'password must have at least 10 characters' })).toBe('form_password');
});

test('what has no field, or is new to the page, is told as such', () => {
  expect(explain({ error_code: '001', error: 'constructor is no field' })).toBe('form_001');
  expect(explain({ error_code: '002', error: 'the name or the password is wrong' })).toBe('form_002');
  expect(explain({ error_code: '003', error: 'the database failed' })).toBe('form_failed');
  expect(explain({})).toBe('form_failed');
});
