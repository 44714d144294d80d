<?php
/* The same shop with PHP's own sessions, which are files: of one host, unless it is a folder that all of them share.
 *
 *   SHOP_NAME=9001 SHOP_SESSIONS=/tmp/one php -S 127.0.0.1:9001 shop.php
 */
declare(strict_types=1);

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$method = $_SERVER['REQUEST_METHOD'];

function answer(int $status, array $body, float $spent): void
{
    http_response_code($status);
    $text = json_encode($body);
    header('Content-Type: application/json');
    header('Content-Length: ' . strlen($text));
    header('X-Target: ' . getenv('SHOP_NAME'));
    header(sprintf('Server-Timing: session;dur=%.3f', $spent / 1e6));
    echo $text;
}

if ($path === '/health') {
    answer(200, ['ok' => true], 0.0);
    return;
}
$began = hrtime(true);
ini_set('session.use_strict_mode', '1');
session_save_path(getenv('SHOP_SESSIONS'));
session_name('shop');
session_set_cookie_params(['path' => '/', 'httponly' => true, 'samesite' => 'Lax']);
$is_login = $method === 'POST' && $path === '/login';
// Whoever has no session is given none by asking.
if (!$is_login && !isset($_COOKIE['shop'])) {
    answer(401, ['error' => 'please log in'], 0.0);
    return;
}
session_start();
if ($is_login) {
    if (($_GET['user'] ?? '') === '') {
        session_destroy();
        answer(400, ['error' => 'who is it?'], 0.0);
        return;
    }
    session_regenerate_id(true);
    $_SESSION = ['user' => $_GET['user'], 'items' => []];
}
if (!isset($_SESSION['user'])) {
    session_destroy();
    answer(401, ['error' => 'please log in'], (float) (hrtime(true) - $began));
    return;
}
$status = 200;
$body = $_SESSION;
if ($method === 'POST' && str_starts_with($path, '/cart/')) {
    $_SESSION['items'] = array_slice([...$_SESSION['items'], substr($path, 6)], -20);
    $body = $_SESSION;
} elseif ($method === 'POST' && $path === '/logout') {
    $body = ['bye' => $_SESSION['user']];
    session_destroy();
} elseif (!$is_login && !($method === 'GET' && $path === '/cart')) {
    [$status, $body] = [404, ['error' => 'there is no such page']];
}
session_write_close();
answer($status, $body, (float) (hrtime(true) - $began));
